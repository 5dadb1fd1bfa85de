"""Who is asking, what they may do and see, and how much of it they may have."""

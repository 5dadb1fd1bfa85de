"""What is monitored in Southbound, and the writers of Southbound and of the local database."""

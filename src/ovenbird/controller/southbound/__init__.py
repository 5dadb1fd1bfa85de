"""What is monitored of Southbound, and what is written to it and to the local database."""

"""Looking into database files, copying them and comparing them, for people and their scripts."""

"""What each method minimises, a file each."""

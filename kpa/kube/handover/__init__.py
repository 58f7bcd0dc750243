"""What a leader knows of its revisions, passed on to the one that leads next, over HTTP and by a file."""

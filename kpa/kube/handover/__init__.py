"""Hand-over of the state of revisions to the next leader, over HTTP and by a file."""

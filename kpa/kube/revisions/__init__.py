"""The revisions of a cluster: made from its objects, and reconciled with what was decided."""

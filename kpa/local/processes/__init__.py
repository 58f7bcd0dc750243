"""Operating system processes as replicas: started, probed, ended, and none left behind.

Never: how many replicas there are.
"""

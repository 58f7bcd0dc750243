"""A module for each rule of the decision, and `decider` and `plan` that compose them.

Never: the fleet's arrays (`scaler.engine`), snapshots.
"""

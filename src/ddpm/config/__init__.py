"""Every setting of a run, as typed trees.

Nothing is imported here: flags and help are made from these files, and none of them needs torch.
"""

"""HELP (Lee et al., NeurIPS 2021), Meta-SGD and MAML: meta-learned predictors of a new target, with torch.

What needs torch is imported by its module's name; settings, encodings and tasks need numpy alone.
"""

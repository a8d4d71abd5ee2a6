"""What few_steps.py is made of."""

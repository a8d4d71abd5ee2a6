"""What kill_calls.py is made of."""

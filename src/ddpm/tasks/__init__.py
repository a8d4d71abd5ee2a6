"""Tasks for a trained run, as functions of its engine."""

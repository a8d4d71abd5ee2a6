"""What people do with a trained run: functions of its engine."""

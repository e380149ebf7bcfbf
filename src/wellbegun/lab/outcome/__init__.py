"""What trainings come to: intervals, differences, winners, and sentences about them."""

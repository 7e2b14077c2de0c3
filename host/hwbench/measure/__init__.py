"""How a number is earned: plans, launches, the journal, statistics, drift, flags."""

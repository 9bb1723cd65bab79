"""What a policy is worth and what it risks: measures, intervals, scorecards."""

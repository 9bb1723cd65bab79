"""Games: their rules, their words, their opponents and their measures. Knows neither models nor training."""

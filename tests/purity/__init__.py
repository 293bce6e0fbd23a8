"""What the purity tests run in a process of its own: the guards, and the session that is run behind them."""

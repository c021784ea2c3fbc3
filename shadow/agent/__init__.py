"""The long-running process: applies, compares, repairs, brings changes back, and serves HTTP."""

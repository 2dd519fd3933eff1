"""What is going well or wrong where the debugger stands: facts that are gathered once, and small checks of them."""

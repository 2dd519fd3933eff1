"""The command line, the prompt, completion and the status line."""

"""Questions asked of a state; nothing here changes it."""

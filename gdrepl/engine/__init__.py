"""The debugger as a library: it knows neither terminal nor files."""

"""Two models to compare: which pairs there are, what their files hold, and loading them within the memory there is."""

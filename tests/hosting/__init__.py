"""The app as a host runs it: started, told to end, started again."""

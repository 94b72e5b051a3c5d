"""Many sessions at once, over real websockets."""

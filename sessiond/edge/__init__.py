"""Where sessiond touches the world."""

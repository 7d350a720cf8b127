"""Where tokens are kept between two calls, and that one call at a time works on them."""

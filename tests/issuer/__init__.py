"""The OAuth issuer of the tests: a Node.js server, and how a test starts and steers it."""

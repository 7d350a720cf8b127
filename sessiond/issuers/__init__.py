"""What sessiond asks an OAuth issuer over HTTPS: keys, introspection, userinfo, next tokens."""

"""S/MIME (RFC 8551): the CMS engine (RFC 5652), certificates, paths, revocation, and the mail entities around them."""

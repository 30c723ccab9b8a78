"""Who signs an advert and who believes it: AH around version 2, the HMAC trailer behind any version; pure."""

"""HTTP/1.1 without input and output: what a request and a response are, and how they look as bytes."""

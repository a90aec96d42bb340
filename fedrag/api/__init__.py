"""The question-answering API over HTTP, and its page."""

"""FastAPI app, routes, live page."""

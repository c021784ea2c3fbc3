# The agent and the command line: `docker run ... shadow agent`, `docker compose exec shadow-agent shadow status`.
FROM python:3.12-slim

WORKDIR /opt/shadow
COPY pyproject.toml README.md LICENSE ./
COPY shadow ./shadow
RUN pip install --no-cache-dir '.[agent]'

# The SQLite file belongs to the app's containers. Files that the agent creates beside it (-wal, -shm, the hint, the
# socket) must be writable for them: run with the same user as they do (`user:` in compose) when that is not root.
EXPOSE 8787
ENTRYPOINT ["shadow"]
CMD ["agent"]

# Every worker, the simulator and the command line in one image; which one runs is the command:
#   docker run IMAGE worker ohlcv
# Packages come from requirements.lock with their hashes, as wheels only, so no compiler is needed.
FROM python:3.12.12-slim-bookworm

ENV PATH=/opt/venv/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1

# LightGBM needs the OpenMP runtime; models are kept in a volume that takes its owner from here.
RUN apt-get update && apt-get install -y --no-install-recommends libgomp1 && rm -rf /var/lib/apt/lists/* \
 && groupadd --gid 10001 sofia \
 && useradd --uid 10001 --gid sofia --no-create-home --home-dir /tmp --shell /usr/sbin/nologin sofia \
 && install -d -o 10001 -g 10001 /var/lib/sofia/models

WORKDIR /app
COPY requirements.lock ./
RUN python -m venv /opt/venv \
 && python -m pip install --no-cache-dir --disable-pip-version-check --no-input \
      --require-hashes --no-deps --only-binary=:all: -r requirements.lock

COPY sofia_streams/ sofia_streams/
COPY agents/ agents/
COPY tables/ tables/
COPY bench/ bench/
RUN python -m compileall -q sofia_streams agents tables bench

USER 10001:10001
ENTRYPOINT ["python", "-m", "sofia_streams.cli"]
CMD ["--help"]

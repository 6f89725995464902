# The service image: hashed pins, an unprivileged user, nothing but the environment and the project.
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY requirements/core.lock requirements/core.lock
RUN python -m venv /opt/tieout && /opt/tieout/bin/pip install --no-cache-dir --require-hashes -r requirements/core.lock
COPY . .
RUN /opt/tieout/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/tieout --create-home tieout
COPY --from=build /opt/tieout /opt/tieout
ENV PATH=/opt/tieout/bin:$PATH PYTHONUNBUFFERED=1
USER tieout
VOLUME /var/lib/tieout
ENTRYPOINT ["tieout"]
CMD ["--help"]

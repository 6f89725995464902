# The break scorer as a SageMaker container: `docker run IMAGE serve` answers /ping and /invocations on port 8080.
FROM python:3.13-slim-bookworm AS build
WORKDIR /src
COPY requirements/core.lock requirements/core.lock
RUN python -m venv /opt/tieout && /opt/tieout/bin/pip install --no-cache-dir --require-hashes -r requirements/core.lock
COPY . .
RUN /opt/tieout/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM python:3.13-slim-bookworm
COPY --from=build /opt/tieout /opt/tieout
ENV PATH=/opt/tieout/bin:$PATH PYTHONUNBUFFERED=1
EXPOSE 8080
ENTRYPOINT ["tieout", "model"]
CMD ["serve", "--host", "0.0.0.0"]

# syntax=docker/dockerfile:1
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY server server
COPY cql cql
COPY questionnaires questionnaires
RUN python -m venv /opt/payer && /opt/payer/bin/pip install --no-cache-dir .

FROM python:3.11-slim
RUN useradd --system --create-home --home-dir /var/lib/payer payer
COPY --from=build /opt/payer /opt/payer
USER payer
WORKDIR /var/lib/payer
# Of each thread's own heap little comes back: two for all threads keep the memory where it is.
ENV HOST=0.0.0.0 PORT=8080 MALLOC_ARENA_MAX=2
EXPOSE 8080
# Under the scheme it is served by; whose certificate that is, does not matter here.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s \
  CMD ["/opt/payer/bin/python", "-c", "import ssl, urllib.request as u; from server.settings import Settings; s = Settings(); u.urlopen(f\"{'https' if s.tls else 'http'}://127.0.0.1:{s.port}/health\", context=ssl._create_unverified_context())"]
CMD ["/opt/payer/bin/davinci-payer", "serve"]

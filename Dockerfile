# The versions are those of package.json; a test compares them.
ARG BUN_VERSION=1.4.4

FROM docker.io/oven/bun:${BUN_VERSION}-slim AS build
WORKDIR /app
COPY package.json bun.lock bunfig.toml ./
COPY src/platform/patches src/platform/patches
# The image has Bun already; compiler (a peer of Elysia), source maps and static libraries are of no use at run time.
RUN bun install --frozen-lockfile --production \
 && rm -rf node_modules/bun node_modules/@oven node_modules/.bin node_modules/typescript node_modules/@typescript \
 && find node_modules \( -name '*.map' -o -path '*/native/lib/*.a' \) -delete
COPY . .
# An empty cluster, since initdb refuses the uids without an account that a container may run under (-u 12345).
USER bun
RUN bun -e 'const { startEmbedded } = await import("/app/src/platform/embedded.ts"); \
      const { silentLog } = await import("/app/src/platform/log.ts"); \
      await (await startEmbedded({ dataDir: "/tmp/seed", log: silentLog })).stop();' \
 && chmod -R a+rX /tmp/seed/postgres

FROM docker.io/oven/bun:${BUN_VERSION}-slim
LABEL org.opencontainers.image.title="DeltaHook" \
      org.opencontainers.image.description="Turns any REST API into a webhook provider, and delivers webhooks dependably" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
WORKDIR /app
COPY --from=build --chown=0:0 /app /app
COPY --from=build --chown=0:0 /tmp/seed/postgres /var/lib/deltahook/template
# Any uid may write the volumes; what lies in them is private to the one that made it.
RUN printf '#!/bin/sh\nexec bun --tsconfig-override=/app/tsconfig.json /app/src/cli/main.ts "$@"\n' > /usr/local/bin/deltahook \
 && chmod 755 /usr/local/bin/deltahook \
 && mkdir -p /data /plugins && chmod 1777 /data
# Bun reads the number of requests at its start only, could not write its cache on a read-only root, and knows no home
# of a uid without an account.
ENV NODE_ENV=production HOME=/tmp HOST=0.0.0.0 PORT=8080 DATA_DIR=/data PLUGINS_DIR=/plugins \
    BUN_CONFIG_MAX_HTTP_REQUESTS=16384 BUN_RUNTIME_TRANSPILER_CACHE_PATH=0
VOLUME ["/data", "/plugins"]
EXPOSE 8080
USER bun
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s CMD ["deltahook", "healthcheck"]
# The server drains within 8 s, inside the 10 s of `docker stop`.
STOPSIGNAL SIGTERM
ENTRYPOINT ["deltahook"]
CMD ["serve"]

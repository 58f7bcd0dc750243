# The autoscaler in a slim image: no compiler, no pip, no root, nothing written outside /tmp.
FROM python:3.11-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY config config
COPY metrics metrics
COPY scaler scaler
COPY kpa kpa
# pip compiles the bytecode here, so that starting needs to write none.
RUN python -m venv --without-pip /opt/kpa \
    && python -m pip --python /opt/kpa/bin/python install --no-cache-dir --disable-pip-version-check ".[fast]"

FROM python:3.11-slim
RUN python -m pip uninstall --yes --root-user-action=ignore wheel setuptools pip
COPY --from=build /opt/kpa /opt/kpa
ENV PATH=/opt/kpa/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /tmp
# 8080: requests, or stats in a cluster. 9090: telemetry, health, API.
EXPOSE 8080 9090
# A number, so that Kubernetes can tell that it is not root.
USER 65532:65532
ENTRYPOINT ["python", "-m", "kpa"]

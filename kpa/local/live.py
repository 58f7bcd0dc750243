"""Manifests put into force while everything runs."""

import logging
from collections.abc import Sequence
from pathlib import Path

from config.autoscaler import AutoscalerConfig
from kpa.local.cluster import LocalCluster
from kpa.local.manifests.documents import read_files
from kpa.local.manifests.fields import DocumentsError

log = logging.getLogger(__name__)


def apply_files(cluster: LocalCluster, paths: Sequence[Path], config: AutoscalerConfig) -> bool:
    """Make the services of these files those that exist; services of other files are taken away.

    A problem in any of them leaves everything as it was; all problems are logged.

    Returns
    -------
    bool
        The files are in force.
    """
    try:
        documents = read_files(paths, config)
    except DocumentsError as error:
        for problem in error.problems:
            log.error("%s", problem)
        log.error("manifests rejected with %d problem(s); services unchanged", len(error.problems))
        return False
    for warning in documents.warnings:
        log.warning("%s", warning)
    cluster.config = config
    cluster.apply(documents.services)
    return True

"""The web dashboard: pages that show the fleet and each revision, live, at the port of telemetry.

    Reconciler ── statuses ──> Live ── server-sent events ──> fleet.js
        └── history, explanation ──> JSON ──────────────────> revision.js

The pages are plain files in `static`, served as they are: no build step, nothing from elsewhere. uPlot, which
draws the charts, lies in `static/vendor` with its licence (MIT).
"""

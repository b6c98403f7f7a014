"""What the REST endpoints of all apps share (cold path).

Endpoints: `endpoint`. Rights: `access`. Errors: `errors`. Lists: `paging`. Bodies: `bodies`.
URLs: `routes`. The OpenAPI document: `openapi_schema`. Keys are checked in
valuecanvas/http/api_auth.py; settings/api.py applies it all to every DRF view.
"""

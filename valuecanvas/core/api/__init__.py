"""REST on the cold path: what the endpoints of every app share.

One endpoint: `endpoint`. Who may: `access`. How errors look: `errors`. Lists: `paging`. Bodies: `bodies`.
URLs: `routes`. The OpenAPI document: `schema`. Keys are proven in
valuecanvas/http/api_auth.py; settings/api.py puts it all in force for every DRF view.
"""

# The page: plain files, served at /web/NAME; index.html also at /.
dist_web_DATA = web/index.html web/icon.svg web/style.css web/api.js web/app.js web/auth.js web/chat.js web/dom.js \
	web/i18n.js web/sidebar.js web/socket.js web/store.js web/uuid7.js

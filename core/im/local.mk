noinst_LIBRARIES += core/libim.a
core_libim_a_SOURCES = \
	core/im/batch.c core/im/batch.h \
	core/im/claim.c core/im/claim.h \
	core/im/delivery.c core/im/delivery.h \
	core/im/frame.c core/im/frame.h \
	core/im/history.c core/im/history.h \
	core/im/im.c core/im/im.h core/im/im_priv.h \
	core/im/message.c core/im/message.h \
	core/im/outbox.c core/im/outbox.h \
	core/im/position.c core/im/position.h core/im/position_rec.c \
	core/im/presence.c core/im/presence.h \
	core/im/recheck.c \
	core/im/restore.c \
	core/im/rights.c \
	core/im/send.c core/im/send.h \
	core/im/sync.c core/im/sync.h \
	core/im/types.h \
	core/im/upkeep.c \
	core/im/window.c core/im/window.h
core_libim_a_SOURCES += \
	core/im/account.c core/im/account.h core/im/account_priv.h \
	core/im/friend.c core/im/friend.h \
	core/im/group.c core/im/group.h \
	core/im/session.c core/im/session.h \
	core/im/session_cache.c core/im/session_cache.h \
	core/im/throttle.c core/im/throttle.h

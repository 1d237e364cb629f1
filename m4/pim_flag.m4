# PIM_TRY_CFLAG(FLAG): append FLAG to PIM_CFLAGS when the compiler takes it without a word.
AC_DEFUN([PIM_TRY_CFLAG], [
  pim_save_CFLAGS=$CFLAGS
  CFLAGS="$CFLAGS -Werror $1"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([])], [PIM_CFLAGS="$PIM_CFLAGS $1"])
  CFLAGS=$pim_save_CFLAGS
])

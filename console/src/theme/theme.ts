/** Mantine tuned to the console: small controls, one accent, our own neutrals through CSS variables (styles.css). */
import { createTheme, type MantineColorsTuple } from '@mantine/core';

const sky: MantineColorsTuple = [
  '#eaf2fd', '#d3e3fa', '#a6c6f4', '#76a8ee', '#4f8de8', '#3a7ce4', '#2f72df', '#1f61c6', '#1556b2', '#064a9d',
]; // prettier-ignore

export const theme = createTheme({
  primaryColor: 'sky',
  primaryShade: { light: 7, dark: 6 },
  colors: { sky },
  fontFamily: "'Inter Variable', system-ui, sans-serif",
  fontFamilyMonospace: "'JetBrains Mono Variable', ui-monospace, monospace",
  fontSizes: { xs: '0.75rem', sm: '0.8125rem', md: '0.875rem', lg: '1rem', xl: '1.125rem' },
  defaultRadius: 'sm',
  radius: { sm: '5px' },
  cursorType: 'pointer',
  focusRing: 'auto',
  components: {
    Button: { defaultProps: { size: 'xs', variant: 'default' } },
    ActionIcon: { defaultProps: { size: 28, variant: 'subtle', color: 'gray' } },
    TextInput: { defaultProps: { size: 'xs' } },
    Select: { defaultProps: { size: 'xs' } },
    Checkbox: { defaultProps: { size: 'xs' } },
    SegmentedControl: { defaultProps: { size: 'xs' } },
    Tooltip: { defaultProps: { openDelay: 350, withArrow: false, fz: 'xs' } },
    Popover: { defaultProps: { shadow: 'md', radius: 'sm', transitionProps: { duration: 80 } } },
    Menu: { defaultProps: { shadow: 'md', radius: 'sm', transitionProps: { duration: 80 } } },
    Modal: { defaultProps: { radius: 'sm', transitionProps: { duration: 80 } } },
  },
});
